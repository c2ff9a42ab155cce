"""What is run and measured for every statement, as rows of one table."""
