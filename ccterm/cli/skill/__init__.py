"""The skill that teaches Claude Code to delegate work: SKILL.md, and what installs it."""
