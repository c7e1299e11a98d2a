"""Child processes: started, watched and ended in order."""
