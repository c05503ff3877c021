package pipeline

// InPages makes a ManifestCopy take so many objects in one transaction.
func InPages(s Step, objects int) Step {
	s.(*manifestCopy).most = objects
	return s
}
