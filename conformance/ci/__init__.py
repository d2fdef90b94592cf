"""What continuous integration reads, made of results files: a job summary, JUnit XML, badges, a comparison."""
