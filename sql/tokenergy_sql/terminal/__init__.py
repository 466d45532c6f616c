"""What the commands print: tables of jobs, hours and dimensions, answers to SQL, exported files."""
