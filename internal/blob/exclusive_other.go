//go:build unix && !linux

package blob

func renameExclusive(fromDir int, from string, toDir int, to string) error {
	return linkExclusive(fromDir, from, toDir, to)
}
