"""What whoever runs the shop does when something is wrong, on this machine and on AWS alike: `python -m operations`."""
