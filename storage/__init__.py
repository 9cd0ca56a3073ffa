"""What is remembered: PostgreSQL through SQLAlchemy Core, and the files beside it.

Imports `pricing` alone; functions take an open connection, and `database` commits.
Start with `tables`, then go to the folder of your noun.
"""
