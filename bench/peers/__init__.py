"""What Footfall is measured against: other ways to the same counts, and the limits of the parts."""
