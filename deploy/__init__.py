"""What an operator deploys. The Python in here writes files of this directory; nothing of it runs in production."""
