"""Reading and writing of NetCDF files and Zarr stores."""
