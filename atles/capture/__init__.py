"""How sessions come in: the tracker in the host application, and the folder that the daemon watches."""
