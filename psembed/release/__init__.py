"""What leaves the study: the exported network and the records that vouch for it."""
