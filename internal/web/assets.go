package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

//go:embed assets
var assetFiles embed.FS

// assets are the scripts and styles. Their URLs have a hash of all of them, so
// that browsers keep each for good and ask anew when one has changed.
type assets struct {
	version string
	files   map[string]*asset
}

// An asset is a file of assets.
type asset struct {
	kind  string
	bytes []byte

	once   sync.Once
	packed []byte // by gzip, once it was asked for; nil if that is not shorter
}

func readAssets() (*assets, error) {
	a := &assets{files: map[string]*asset{}}
	hash := sha256.New()
	err := fs.WalkDir(assetFiles, "assets", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := assetFiles.ReadFile(p)
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(p, "assets/")
		fmt.Fprintf(hash, "%s %d\n%s", name, len(b), b)
		a.files[name] = newAsset(name, b)
		return nil
	})
	a.version = hex.EncodeToString(hash.Sum(nil)[:8])
	return a, err
}

func newAsset(name string, b []byte) *asset {
	a := &asset{kind: mime.TypeByExtension(path.Ext(name)), bytes: b}
	switch path.Ext(name) { // what a system's table says of these is not always right
	case ".js":
		a.kind = "text/javascript; charset=utf-8"
	case ".css":
		a.kind = "text/css; charset=utf-8"
	case ".svg":
		a.kind = "image/svg+xml"
	}
	return a
}

// pack returns the file packed by gzip, nil if that is not shorter.
func (a *asset) pack() []byte {
	a.once.Do(func() {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, err := z.Write(a.bytes)
		if errors.Join(err, z.Close()) == nil && packed.Len() < len(a.bytes) {
			a.packed = packed.Bytes()
		}
	})
	return a.packed
}

// url returns the URL of an asset. The error of a template that names one that
// is not there is found when the templates are first executed by a test.
func (a *assets) url(name string) (string, error) {
	if _, ok := a.files[name]; !ok {
		return "", fmt.Errorf("there is no asset %s", name)
	}
	return "/assets/" + a.version + "/" + name, nil
}

func (a *assets) serve(w http.ResponseWriter, r *http.Request) {
	f, ok := a.files[r.PathValue("path")]
	if !ok || r.PathValue("version") != a.version {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Vary", "Accept-Encoding")
	body := f.bytes
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		if packed := f.pack(); packed != nil {
			h.Set("Content-Encoding", "gzip")
			body = packed
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the client may be gone
}
