package source

// SetPageSize sets where a page ends, in bytes.
func (f *Files) SetPageSize(n int) { f.page = n }

// SetLargestRecord sets the bound of a record, in bytes.
func (f *Files) SetLargestRecord(n int) { f.record = n }
