// Package warehousetest is the conformance suite of warehouses: the same
// batches must give the same rows and books in all of them. It builds its
// batches itself, from Go values, and decodes nothing.
package warehousetest
