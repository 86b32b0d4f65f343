"""How each kind of file is read. All of it runs in a child process, for files may be made to break whoever reads
them."""
