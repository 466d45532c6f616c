"""The integration beside its peers: the same readings, the same statistics, one run, equal bits."""
