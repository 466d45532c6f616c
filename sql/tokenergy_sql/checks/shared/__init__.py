"""Views that several checks read; `checking.py` creates them."""
