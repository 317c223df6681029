"""bifrost-etl: a Bifrost gateway's video-job history, mirrored into SQL."""

__version__ = "0.1.0"
