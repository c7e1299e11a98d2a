"""Processes that train one model together: who takes part, what differs from one process, a group on this machine."""
