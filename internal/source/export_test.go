package source

// SetPageSize sets where a page ends, in bytes.
func (f *Files) SetPageSize(n int) { f.page = n }
