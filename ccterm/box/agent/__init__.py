"""Starts an agent, talks to it, frames what it prints, and ends it."""
