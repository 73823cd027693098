package cli

import (
	"errors"
	"fmt"
	"os"
)

// A keyFile keeps an access key. It is made before the key is, so that there is a
// place for the secret when AWS tells it.
type keyFile struct {
	path  string
	file  *os.File
	saved bool
}

// open makes the file, readable for its owner alone. It must not be there.
func (k *keyFile) open() (err error) {
	k.file, err = os.OpenFile(k.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("make file for the access key: %w", err)
	}
	return nil
}

// save writes a key, down to the disk.
func (k *keyFile) save(id, secret string) error {
	_, err := fmt.Fprintf(k.file, "[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", id, secret)
	if err := errors.Join(err, k.file.Sync()); err != nil {
		return fmt.Errorf("write access key: %w", err)
	}
	k.saved = true
	return nil
}

// close closes the file, and takes it away when there is no key in it.
func (k *keyFile) close() error {
	err := k.file.Close()
	if !k.saved {
		err = errors.Join(err, os.Remove(k.path))
	}
	if err != nil {
		return fmt.Errorf("close file for the access key: %w", err)
	}
	return nil
}
