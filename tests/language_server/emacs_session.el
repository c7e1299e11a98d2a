;; Emacs without a screen: open config.yaml, wait for its problems, and print what Eglot knows as JSON.

(package-initialize)
(require 'eglot)
(require 'json)
(load-file "setup.el")
(setq eglot-connect-timeout 120 eglot-sync-connect 120)
(find-file "config.yaml")
(yaml-mode)
(call-interactively 'eglot)

(let ((rounds 0))
  (while (and (< rounds 600) (null (flymake-diagnostics)))
    (accept-process-output nil 0.1)
    (setq rounds (1+ rounds))
    (when (= (% rounds 10) 0) (flymake-start))))

(defun session-request (method word)
  (goto-char (point-min))
  (search-forward word)
  (backward-char 2)
  (jsonrpc-request (eglot--current-server-or-lose) method (eglot--TextDocumentPositionParams)))

(princ (json-encode
        `((diagnostics . ,(vconcat (mapcar (lambda (one)
                                             `((line . ,(line-number-at-pos (flymake-diagnostic-beg one)))
                                               (text . ,(flymake-diagnostic-text one))))
                                           (flymake-diagnostics))))
          (hover . ,(plist-get (plist-get (session-request :textDocument/hover "Flatten") :contents) :value))
          (definition . ,(progn
                           (goto-char (point-min))
                           (search-forward "[stem")
                           (backward-char 2)
                           (vconcat (mapcar (lambda (one)
                                              (xref-location-line (xref-item-location one)))
                                            (xref-backend-definitions 'eglot "LSP identifier at point."))))))))
(eglot-shutdown (eglot-current-server))
