"""Answers with recommendations, whatever is there to answer with."""
