"""What operators do on the command line, beside what they see of jobs.

Start with `job_verbs`; who acts is said by `command_line_actor`.
"""
