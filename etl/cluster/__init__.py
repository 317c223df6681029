"""Sources worked on by the processes of a Dask cluster."""
