"""The scripts wrapped in a script, uncovered without running anything."""
