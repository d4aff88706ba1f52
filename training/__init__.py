"""The steps of training with their files: what recommend/ computes, from what the stores hold."""
