"""`python -m tokenergy_collectors` is `tokenergy-collect`."""

from tokenergy_collectors.cli import main

main()
