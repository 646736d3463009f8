"""The steps of a contract check: streams, cells, attention, feed-forward layers, margins; one idea a file."""
