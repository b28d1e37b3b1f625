"""What keeps a home in order over months: chores of the daemon, and what people ask for (backup, repair)."""
