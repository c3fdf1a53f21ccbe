package nfsclient

import "context"

// do carries out a call and decodes its results into an R.
func do[R any, P interface {
	*R
	Results
}](ctx context.Context, c *Client, args Args,
) (R, error) {
	var r R
	err := c.Do(ctx, args, P(&r))
	return r, err
}

// Null does nothing (RFC 1813 §3.3.0).
func (c *Client) Null(ctx context.Context) error {
	return c.Do(ctx, &VoidArgs{NFSProc(ProcNull)}, &VoidRes{})
}

// Getattr gives an object's attributes (RFC 1813 §3.3.1).
func (c *Client) Getattr(ctx context.Context, fh FH) (Attr, error) {
	r, err := do[GetattrRes](ctx, c, &HandleArgs{NFSProc(ProcGetattr), fh})
	return r.Attr, err
}

// Setattr changes attributes (RFC 1813 §3.3.2). A guard that is not nil is the ctime
// that the object must have.
func (c *Client) Setattr(ctx context.Context, fh FH, s SetAttr, guard *Time) (Wcc, error) {
	r, err := do[WccRes](ctx, c, &SetattrArgs{fh, s, guard})
	return r.Wcc, err
}

// Lookup finds name in dir (RFC 1813 §3.3.3).
func (c *Client) Lookup(ctx context.Context, dir FH, name string) (LookupRes, error) {
	return do[LookupRes](ctx, c, &NameArgs{NFSProc(ProcLookup), dir, name})
}

// Access asks which of the rights the caller has (RFC 1813 §3.3.4).
func (c *Client) Access(ctx context.Context, fh FH, rights uint32) (AccessRes, error) {
	return do[AccessRes](ctx, c, &AccessArgs{fh, rights})
}

// Readlink gives a symbolic link's target (RFC 1813 §3.3.5).
func (c *Client) Readlink(ctx context.Context, fh FH) (ReadlinkRes, error) {
	return do[ReadlinkRes](ctx, c, &HandleArgs{NFSProc(ProcReadlink), fh})
}

// Read reads up to count bytes (RFC 1813 §3.3.6).
func (c *Client) Read(ctx context.Context, fh FH, off uint64, count uint32) (ReadRes, error) {
	return do[ReadRes](ctx, c, &ReadArgs{fh, off, count})
}

// Write writes data (RFC 1813 §3.3.7).
func (c *Client) Write(ctx context.Context, fh FH, off uint64, stable Stable, data []byte) (WriteRes, error) {
	return do[WriteRes](ctx, c, &WriteArgs{fh, off, uint32(len(data)), stable, data})
}

// Create makes a regular file, mode Unchecked or Guarded (RFC 1813 §3.3.8).
func (c *Client) Create(ctx context.Context, dir FH, name string, mode CreateMode, s SetAttr) (CreateRes, error) {
	return do[CreateRes](ctx, c, &CreateArgs{Dir: dir, Name: name, Mode: mode, Attr: s})
}

// CreateExclusive makes a regular file in mode Exclusive (RFC 1813 §3.3.8).
func (c *Client) CreateExclusive(ctx context.Context, dir FH, name string, v Verf) (CreateRes, error) {
	return do[CreateRes](ctx, c, &CreateArgs{Dir: dir, Name: name, Mode: Exclusive, Verf: v})
}

// Mkdir makes a directory (RFC 1813 §3.3.9).
func (c *Client) Mkdir(ctx context.Context, dir FH, name string, s SetAttr) (CreateRes, error) {
	return do[CreateRes](ctx, c, &MkdirArgs{dir, name, s})
}

// Symlink makes a symbolic link (RFC 1813 §3.3.10).
func (c *Client) Symlink(ctx context.Context, dir FH, name, target string, s SetAttr) (CreateRes, error) {
	return do[CreateRes](ctx, c, &SymlinkArgs{dir, name, s, target})
}

// Mknod makes a special file (RFC 1813 §3.3.11).
func (c *Client) Mknod(ctx context.Context, a MknodArgs) (CreateRes, error) {
	return do[CreateRes](ctx, c, &a)
}

// Remove removes what is not a directory (RFC 1813 §3.3.12).
func (c *Client) Remove(ctx context.Context, dir FH, name string) (Wcc, error) {
	r, err := do[WccRes](ctx, c, &NameArgs{NFSProc(ProcRemove), dir, name})
	return r.Wcc, err
}

// Rmdir removes an empty directory (RFC 1813 §3.3.13).
func (c *Client) Rmdir(ctx context.Context, dir FH, name string) (Wcc, error) {
	r, err := do[WccRes](ctx, c, &NameArgs{NFSProc(ProcRmdir), dir, name})
	return r.Wcc, err
}

// Rename moves an entry (RFC 1813 §3.3.14).
func (c *Client) Rename(ctx context.Context, from FH, fromName string, to FH, toName string) (RenameRes, error) {
	return do[RenameRes](ctx, c, &RenameArgs{from, fromName, to, toName})
}

// Link gives an object another name (RFC 1813 §3.3.15).
func (c *Client) Link(ctx context.Context, fh, dir FH, name string) (LinkRes, error) {
	return do[LinkRes](ctx, c, &LinkArgs{fh, dir, name})
}

// Readdir gives the entries behind a cookie, up to count bytes (RFC 1813 §3.3.16).
func (c *Client) Readdir(ctx context.Context, dir FH, cookie uint64, v Verf, count uint32) (ReaddirRes, error) {
	return do[ReaddirRes](ctx, c, &ReaddirArgs{dir, cookie, v, count})
}

// Readdirplus gives entries with their attributes and handles (RFC 1813 §3.3.17).
func (c *Client) Readdirplus(ctx context.Context, a ReaddirplusArgs) (ReaddirplusRes, error) {
	return do[ReaddirplusRes](ctx, c, &a)
}

// Fsinfo tells what the server can do (RFC 1813 §3.3.19).
func (c *Client) Fsinfo(ctx context.Context, root FH) (FsinfoRes, error) {
	return do[FsinfoRes](ctx, c, &HandleArgs{NFSProc(ProcFsinfo), root})
}

// Pathconf gives an object's POSIX limits (RFC 1813 §3.3.20).
func (c *Client) Pathconf(ctx context.Context, fh FH) (PathconfRes, error) {
	return do[PathconfRes](ctx, c, &HandleArgs{NFSProc(ProcPathconf), fh})
}

// Commit makes written data stable (RFC 1813 §3.3.21). A count of 0 is up to the end.
func (c *Client) Commit(ctx context.Context, fh FH, off uint64, count uint32) (CommitRes, error) {
	return do[CommitRes](ctx, c, &CommitArgs{fh, off, count})
}
