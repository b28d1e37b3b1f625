"""What happens to a session: five steps, each safe to run twice."""
