package duckdb

import (
	"context"
	"errors"
	"fmt"
	"strings"

	duck "github.com/duckdb/duckdb-go/v2"

	"arbalest"
)

// typeOf returns DuckDB's kind of an error; ErrorTypeInvalid if it is not
// DuckDB's.
func typeOf(err error) duck.ErrorType {
	var e *duck.Error
	if errors.As(err, &e) {
		return e.Type
	}
	return duck.ErrorTypeInvalid
}

// interrupted returns the context's error if that is why err came about.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil && (typeOf(err) == duck.ErrorTypeInterrupt || errors.Is(err, ctx.Err())) {
		return ctx.Err()
	}
	return nil
}

// storageError wraps an error of the machine or of DuckDB itself.
func storageError(err error) error {
	switch typeOf(err) {
	case duck.ErrorTypeOutOfMemory:
		return fmt.Errorf("%w: %w: raise the warehouse's memory limit", arbalest.ErrBusy, err)
	case duck.ErrorTypeSerialization:
		return fmt.Errorf("%w: %w", arbalest.ErrCorrupt, err)
	}
	return fmt.Errorf("%w: %w", arbalest.ErrUnavailable, err)
}

// loadError wraps an error of a statement of Load or Reset: another loader's
// write that came in between is arbalest.ErrExists, what a definition or value
// is to blame for arbalest.ErrInvalid.
func loadError(ctx context.Context, err error) error {
	if cause := interrupted(ctx, err); cause != nil {
		return cause
	}
	switch typeOf(err) {
	case duck.ErrorTypeTransaction:
		return fmt.Errorf("%w: another loader was faster: %w", arbalest.ErrExists, err)
	case duck.ErrorTypeCatalog, duck.ErrorTypeBinder, duck.ErrorTypeParser, duck.ErrorTypeConversion,
		duck.ErrorTypeOutOfRange, duck.ErrorTypeMismatchType, duck.ErrorTypeInvalidInput, duck.ErrorTypeInvalidType,
		duck.ErrorTypeDependency, duck.ErrorTypeConstraint, duck.ErrorTypeNotImplemented:
		return fmt.Errorf("%w: %w", arbalest.ErrInvalid, err)
	}
	return storageError(err)
}

// queryError wraps an error of a user's SQL, with DuckDB's own message.
func queryError(ctx context.Context, err error) error {
	if cause := interrupted(ctx, err); cause != nil {
		return cause
	}
	if errors.Is(err, arbalest.ErrInvalid) || errors.Is(err, arbalest.ErrTooLarge) {
		return err
	}
	switch typeOf(err) {
	case duck.ErrorTypeCatalog:
		if strings.Contains(err.Error(), "Table with name") && strings.Contains(err.Error(), "does not exist") {
			return fmt.Errorf("%w: %w", arbalest.ErrUnknown, err)
		}
	case duck.ErrorTypeIO, duck.ErrorTypeFatal, duck.ErrorTypeInternal, duck.ErrorTypeOutOfMemory, duck.ErrorTypeSerialization:
		return storageError(err)
	}
	return fmt.Errorf("%w: %w", arbalest.ErrInvalid, err)
}
