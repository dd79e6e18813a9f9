"""Reading and writing NetCDF files and Zarr stores."""
