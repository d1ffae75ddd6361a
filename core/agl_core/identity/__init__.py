"""Identity: what tells a program from another one, also in the process that resumes a run."""
