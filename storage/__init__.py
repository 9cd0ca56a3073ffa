"""What is remembered: PostgreSQL through SQLAlchemy Core, and the files beside it."""
