"""What runs in the jail: `entry.read` finds out what a file is, and the reader of its kind fills a draft."""
