"""Preparation of data sets as users have them: gaps, times, and which variables are fields."""
