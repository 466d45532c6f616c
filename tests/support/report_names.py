"""Names of jobs that are hard to print, and the browser that prints them."""

import shutil

HOSTILE = "</script><b>x\"'"
"""A job name that breaks out of careless markup, script and attribute."""

LONG = "inference-llama-3.1-70b-instruct-production-eu-west-blue"

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
