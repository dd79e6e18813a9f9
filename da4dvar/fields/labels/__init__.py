"""Names, CF roles, units and attributes of variables and dimensions."""
