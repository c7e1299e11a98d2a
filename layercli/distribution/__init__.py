"""Processes that train one model together: cluster, limitations, groups on this machine."""
