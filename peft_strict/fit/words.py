"""Words in the names of modules, read from all models of transformers 5.23, for `names`."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What models call their input embedding and their output head, if the name can be nothing else.
EMBEDDINGS = _words("""
    emb embd embed embed_in embed_token embed_tokens embedding embeddings input_embeddings tok_embedding tok_embeddings
    token_embed token_embedding token_embeddings tokens_embed word_embed word_embedding word_embeddings wte
    """)
HEADS = _words("embed_out generator_lm_head lm_head lm_logits output_layer output_projection unembed")
# What those may stand in.
ABOVE = _words("base_model decoder embeddings gpt_neox language_model llm lm model text_model transformer")
# Real words that are one letter apart: one is not a misspelling of the other.
WORDS = _words("""
    act ape asp att bbox beit bert bin bit bos box bpe cat cls cnn cod code codec col cond conf conv cos cvt deconv dec
    deit dense dim dot dpt dwconv elu enc end eos esm ext fgate ffn fine flow focal form fpn gan gate gelu git glu gnn
    grn gru gte ids idx igate itc itm joint kqv lang lin link list lit local log long low lrelu mae main map mask mat
    match max mel mha mid mim min mix mlm mlp mms mra msa net new node noise norm ogate outer pad pae pan patch path
    pde per ple point pool pos pose post pre pred prob prod proj ptm pwconv rate ref reg regnet rel relu rep res
    resnet rms rnn roc router row sam sat scale scaled scaler seg sen sep seq sew sin sine size src state step stem sum
    swin tag task text tile time tok top tri unit vec vilt vit vlm wpe wte
    """)
# A part that makes another thing of the name, and not only another name of the thing.
TELLING = _words("""
    act activation add added adapter audio aux bias conv cond context cross decoder dropout emb embed embedding
    embeddings encoder expert experts final global head heads image img layernorm layer layers ln local mask norm
    pooler pos position positions post pre qk rel relative rope rotary router scale shared text token tokens txt type
    types vision visual
    """)
# Parts that say too little where they are all that two names have in common.
VAGUE = _words(
    "c conv dense down embed fc ff gate head in layer lin linear lm mlp norm o out output proj projection w"
)
