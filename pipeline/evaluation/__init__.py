"""What models' answers are worth: edited tokens, CodeBLEU, task checks, tables, test cases."""
