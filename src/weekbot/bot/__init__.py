"""What people see and touch in Discord: cards, commands, buttons."""
