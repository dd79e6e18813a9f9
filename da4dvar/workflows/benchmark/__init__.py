"""A folder of recipes as the rows of a table."""
