"""Statistics: what so many paired scores can show, and do show."""
