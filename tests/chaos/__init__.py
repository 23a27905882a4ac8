"""Never missed, never doubled: measured with real processes that are killed, cut off and left in the dark."""
