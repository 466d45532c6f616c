"""Works on a lake in an object store, through a working copy on the disk of this machine."""
