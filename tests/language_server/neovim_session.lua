-- Open a broken config with the server, use it as an editor does, and print what the editor then knows as JSON.
-- The config is the file that is open; the setup is that of docs/editor.md.
local seconds = 60

local function wait_for(condition)
  assert(vim.wait(seconds * 1000, condition, 20), "the server has not answered in time")
end

local function list_diagnostics()
  return vim.tbl_map(function(one)
    return { code = one.code, line = one.lnum + 1, column = one.col + 1, message = one.message }
  end, vim.diagnostic.get(0))
end

local function ask(method, word, extra)
  for number, line in ipairs(vim.api.nvim_buf_get_lines(0, 0, -1, true)) do
    local column = line:find(word, 1, true)
    if column then
      vim.api.nvim_win_set_cursor(0, { number, column - 1 })
      break
    end
  end
  local params = vim.tbl_extend("force", vim.lsp.util.make_position_params(), extra or {})
  local answers = vim.lsp.buf_request_sync(0, "textDocument/" .. method, params, seconds * 1000)
  return ({ next(answers) })[2].result
end

local result = {}
wait_for(function()
  return #vim.diagnostic.get(0) > 0
end)
result.diagnostics = list_diagnostics()
result.hover = ask("hover", "Flatten").contents.value
result.completion = vim.tbl_map(function(item)
  return item.label
end, ask("completion", "unit:").items)
result.definition = ask("definition", "stem]")[1].range.start
local all = { start = { line = 0, character = 0 }, ["end"] = { line = 99, character = 0 } }
result.hints = vim.tbl_map(function(hint)
  return hint.label
end, ask("inlayHint", "model", { range = all }))

local wrong = vim.diagnostic.get(0)[1]
local line = { start = { line = wrong.lnum, character = 0 }, ["end"] = { line = wrong.lnum, character = 99 } }
local actions = ask("codeAction", "unit:", { range = line, context = { diagnostics = {}, only = { "quickfix" } } })
result.action = actions[1].title
vim.lsp.util.apply_workspace_edit(actions[1].edit, "utf-16")
wait_for(function()
  return #vim.diagnostic.get(0) == 0
end)
result.text = vim.api.nvim_buf_get_lines(0, 0, -1, true)
io.stdout:write(vim.fn.json_encode(result))
for _, client in pairs(vim.lsp.get_active_clients()) do
  client.stop()
end
vim.cmd("qall!")
