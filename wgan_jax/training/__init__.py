"""The training program: restore, train in compiled calls, write, and go back if training diverges."""
